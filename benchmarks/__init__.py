"""What `make bench` runs: measured ratios beside their baselines."""
