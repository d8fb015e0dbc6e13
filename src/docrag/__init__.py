"""Question answering over visually rich PDFs, with verified page and box citations."""
