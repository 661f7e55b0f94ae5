"""The three stories that this project exists for; each is a program, and runs as a test."""
