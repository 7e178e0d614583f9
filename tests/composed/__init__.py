"""Tests that run inside the composed project."""
