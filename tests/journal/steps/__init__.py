"""Sessions, steps, keys, bindings and receipts."""
