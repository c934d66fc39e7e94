"""Refocusing only what needs it: networks, weights, regions, engine, audit."""
