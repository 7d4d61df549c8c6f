"""From numbers to evidence: statistics, tables, figures, receptive fields."""
