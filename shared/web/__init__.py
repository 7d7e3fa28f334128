"""HTTP: the application, its documents, and what every request has in common.

Services and deploy import it, and of shared `auth` and what is above. It knows neither accounts nor the runtime: who
sends a request it asks the container (container.py).
"""
