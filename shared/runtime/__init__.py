"""A service as a process: settings, container, commands, the operators' port. Only services and deploy import it."""
