"""Results for people: tables, and what to type next."""
