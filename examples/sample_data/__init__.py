"""Catalogs to try mmsearch on: from Debian packages, or drawn."""
