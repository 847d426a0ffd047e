"""One module per kind: what was observed goes in, what to write and do comes out. No I/O except in ``observe``."""
