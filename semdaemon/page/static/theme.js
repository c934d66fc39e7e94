// Before the first paint: dark, light, or as the desktop says.
(() => {
  const desktop = matchMedia("(prefers-color-scheme: light)");
  const kept = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const keep = (value) => { try { localStorage.setItem("theme", value); } catch { /* private window: not kept */ } };
  let theme = new URLSearchParams(location.search).get("theme") ?? kept() ?? "dark";
  const apply = () => {
    const light = theme === "light" || (theme === "system" && desktop.matches);
    document.documentElement.dataset.theme = light ? "light" : "dark";
    const button = document.getElementById("theme");
    if (button) button.textContent = `◐ ${theme}`;
  };
  desktop.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      theme = { dark: "light", light: "system", system: "dark" }[theme] ?? "dark";
      keep(theme);
      apply();
    });
  });
  apply();
})();
