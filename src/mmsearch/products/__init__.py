"""Products of a catalog: file readers, record parsing, the text of the towers, rejects."""
