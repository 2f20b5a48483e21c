"""The contract written down: schemas, AsyncAPI, examples and a page, all made from `events` and never by hand."""
