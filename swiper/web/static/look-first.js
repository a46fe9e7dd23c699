// Runs before anything is painted, so that a chosen theme does not flash; the module look.js does the rest.
(() => {
  const theme = localStorage.getItem("swiper.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
