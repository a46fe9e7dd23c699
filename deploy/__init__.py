"""Running all of Swiper on one bare machine."""
