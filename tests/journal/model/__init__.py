"""The model checker of the rollback: random schemas and histories, an expected result of its own, and what both must agree on."""
