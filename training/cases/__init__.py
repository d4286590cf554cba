"""Cases: one patient at one time, with images, a mask and metadata; read from tables and BIDS trees."""
