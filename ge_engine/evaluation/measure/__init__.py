"""What a network holds and costs: parameters, weights that act, FLOPs, latency, bytes."""
