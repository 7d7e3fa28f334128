"""The audit trail a service keeps: who did what when."""
