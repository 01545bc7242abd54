"""Fixtures of your own for the integration tests. These are there for every test (docs/testing.md): engine, sabir, memory, models,
secrets, recording. A test that asks for one has an engine of its own, with an empty store and without a developer's keys."""
