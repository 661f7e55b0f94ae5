"""One module a command: it parses, calls once, prints."""
