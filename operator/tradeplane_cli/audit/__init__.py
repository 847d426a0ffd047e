"""Commands about the audit trail; they read the database or a file themselves and trust no gateway."""
