"""What Swiper costs, measured against yardsticks on servers of its own: `make bench`."""
