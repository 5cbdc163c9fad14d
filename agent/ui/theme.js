// Runs before anything is painted, so that a chosen theme never flashes in the other one.
(() => {
  try {
    const chosen = localStorage.getItem("rollcall-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // A browser without storage follows the system's theme.
  }
})();
