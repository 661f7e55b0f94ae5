"""The shared Postgres seam: flows, connection kinds, error codes, SQL resources, connecting."""
