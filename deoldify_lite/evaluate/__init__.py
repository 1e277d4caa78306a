"""How good are colorized pictures? Figures, kept between runs, and a report with pictures side by side."""
