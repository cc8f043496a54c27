"""Judgments and runs in other tools' formats."""
