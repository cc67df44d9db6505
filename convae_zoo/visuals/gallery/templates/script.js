"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  const theme = document.getElementById("theme");
  const isDark = () => document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
  });
  nameTheme();

  const pictures = document.getElementById("pictures");
  if (pictures) {
    const zoom = document.getElementById("zoom");
    const centre = { x: 50, y: 50 };
    const clamp = (value) => Math.min(100, Math.max(0, value));
    const setZoom = (value) => {
      zoom.value = value;
      pictures.style.setProperty("--zoom", zoom.value);
      pictures.classList.toggle("zoomed", Number(zoom.value) > 1);
    };
    const moveTo = (x, y) => {
      centre.x = clamp(x);
      centre.y = clamp(y);
      pictures.style.setProperty("--x", `${centre.x}%`);
      pictures.style.setProperty("--y", `${centre.y}%`);
    };
    zoom.addEventListener("input", () => setZoom(zoom.value));
    for (const view of all(".view")) {
      const pane = view.querySelector(".pane");
      pane.addEventListener("pointermove", (event) => {
        if (Number(zoom.value) === 1) return;
        const box = pane.getBoundingClientRect();
        moveTo(100 * (event.clientX - box.left) / box.width, 100 * (event.clientY - box.top) / box.height);
      });
      pane.addEventListener("wheel", (event) => {
        if (!event.ctrlKey && Number(zoom.value) === 1 && event.deltaY > 0) return;
        event.preventDefault();
        setZoom(Number(zoom.value) * (event.deltaY < 0 ? 1.25 : 0.8));
      }, { passive: false });
      view.addEventListener("keydown", (event) => {
        const step = 5;
        const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
        if (moves[event.key] && Number(zoom.value) > 1) moveTo(centre.x + moves[event.key][0], centre.y + moves[event.key][1]);
        else if (event.key === "+" || event.key === "=") setZoom(Number(zoom.value) + 1);
        else if (event.key === "-") setZoom(Number(zoom.value) - 1);
        else return;
        event.preventDefault();
      });
    }
    for (const button of all(".pick")) {
      button.addEventListener("click", () => {
        for (const other of all(".pick")) other.setAttribute("aria-pressed", String(other === button));
        all(".scene").forEach((scene, index) => { scene.hidden = index !== Number(button.dataset.scene); });
      });
    }
    const trained = document.getElementById("trained");
    const showTrained = () => {
      for (const view of all(".view[data-dataset]")) {
        view.hidden = trained.value !== "" && view.dataset.dataset !== trained.value;
      }
    };
    trained.addEventListener("change", showTrained);
    showTrained();
    const difference = document.getElementById("difference");
    difference.addEventListener("change", () => pictures.classList.toggle("difference", difference.checked));
  }

  for (const slider of all(".compare input")) {
    slider.addEventListener("input", () => slider.parentElement.style.setProperty("--at", `${slider.value}%`));
  }

  for (const input of all(".filter")) {
    const list = document.getElementById(input.dataset.for);
    const found = document.querySelector(`.found[data-for="${input.dataset.for}"]`);
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      let shown = 0;
      for (const each of list.children) {
        each.hidden = !each.dataset.text.includes(wanted);
        shown += each.hidden ? 0 : 1;
      }
      found.textContent = wanted ? `${shown} of ${list.children.length}` : "";
    });
  }

  for (const table of all(".sortable")) {
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of heads) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const value = (row) => row.children[column].dataset.value;
        const rows = [...table.tBodies[0].rows].sort((a, b) => {
          const [x, y] = [value(a), value(b)];
          if (x === "" || y === "") return (x === "") - (y === "");
          const order = column === 0 ? x.localeCompare(y) : Number(x) - Number(y);
          return up ? order : -order;
        });
        table.tBodies[0].append(...rows);
      });
    });
  }
})();
