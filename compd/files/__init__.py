"""Files: read with care, written whole, results sent where they belong."""
