"""How long recordings stay: dates, holds, deletion."""
