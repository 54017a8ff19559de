"""Months of an agency in virtual time: cameras, dockings, holds, requests, deletion; and a judge
that knows from the world what must be there, held, hidden, erased and answered on each day."""
