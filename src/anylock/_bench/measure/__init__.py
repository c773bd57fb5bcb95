"""How each sort of row is measured: what workers are told, and what is concluded."""
