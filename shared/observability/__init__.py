"""What operators see of a process: logs, metrics, traces, readiness.

Anyone may import it but `values` and `errors`; it imports nothing of ours.
"""
