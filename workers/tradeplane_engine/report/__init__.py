"""The report of a run: one static page for people, JSON and Parquet for programs.

1. :mod:`.content` gathers what the report says, once, from a :class:`~tradeplane_engine.measures.inputs.Run`.
2. :mod:`.page` writes it as one HTML file without script, font or network; :mod:`.document` as canonical JSON;
   :mod:`.parquet` as files with every row.

Belongs here: choosing, thinning and drawing. Must stay out: formulas (they are measures) and anything that knows how
the run was made.
"""
