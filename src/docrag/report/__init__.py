"""What docrag found, for programs and for people: JSON shapes, page pictures and the HTML report."""
