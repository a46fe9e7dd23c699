"""The engines that Swiper runs on, one module for each family; each is put through the same journey and races."""
