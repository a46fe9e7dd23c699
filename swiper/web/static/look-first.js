// Runs before the first paint, so that a page with a chosen theme does not flash. look.js does the rest.
(() => {
  const theme = localStorage.getItem("swiper.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
