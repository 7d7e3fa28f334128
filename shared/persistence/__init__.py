"""PostgreSQL: engine and transactions, ciphertext in columns and its rotation."""
