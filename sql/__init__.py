"""The present schema: plain SQL files, one object each. `install.sql` is the reading order."""
