"""PostgreSQL: engine and transactions, ciphertext in columns and its rotation.

Anyone above may import it, `messaging` first; it knows neither events nor HTTP.
"""
