"""What is claimed about speed, runnable: `make bench`. Benchmarks are no tests: none of them fails."""
