// The page: asks the API, draws the list, sends each change at once.
const list = document.querySelector(".list");
const footer = document.querySelector("footer");
const markAll = document.querySelector(".all");
const errorLine = document.querySelector(".error");
const filters = {
  "#/": () => true,
  "#/active": (todo) => !todo.completed,
  "#/completed": (todo) => todo.completed,
};
let todos = [];

async function ask(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  const response = await fetch(path, options);
  if (!response.ok) {
    throw new Error(`${method} ${path}: ${response.status}`);
  }
  const answer = response.status === 204 ? null : await response.json();
  return { answer, servedBy: response.headers.get("X-Served-By") };
}

async function reload() {
  try {
    const { answer, servedBy } = await ask("GET", "/api/todos");
    todos = answer.todos;
    document.querySelector(".served").textContent =
      `served by ${servedBy}, read from the ${answer.database.role} at ${answer.database.address}`;
    errorLine.hidden = true;
    draw();
  } catch (error) {
    errorLine.textContent = `The list could not be read (${error.message}). Trying again.`;
    errorLine.hidden = false;
  }
}

async function change(method, path, body) {
  try {
    await ask(method, path, body);
  } catch (error) {
    errorLine.textContent = `Not saved (${error.message}).`;
    errorLine.hidden = false;
    return;
  }
  await reload();
}

function element(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

function edit(todo, item) {
  const input = element("input", { className: "edit", value: todo.title, maxLength: 500 });
  let finished = false;
  const finish = (save) => {
    if (finished) return;
    finished = true;
    const title = input.value.trim();
    if (!save || title === todo.title) draw();
    else if (title) change("PATCH", `/api/todos/${todo.id}`, { title });
    else change("DELETE", `/api/todos/${todo.id}`);
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") finish(true);
    if (event.key === "Escape") finish(false);
  });
  input.addEventListener("blur", () => finish(true));
  item.replaceChildren(input);
  input.focus();
}

function row(todo) {
  const toggle = element("input", { type: "checkbox", checked: todo.completed, ariaLabel: `Done: ${todo.title}` });
  toggle.addEventListener("change", () =>
    change("PATCH", `/api/todos/${todo.id}`, { completed: toggle.checked }));
  const remove = element("button", { type: "button", className: "delete", ariaLabel: `Delete: ${todo.title}` }, "×");
  remove.addEventListener("click", () => change("DELETE", `/api/todos/${todo.id}`));
  const label = element("label", {}, todo.title);
  const item = element("li", { className: todo.completed ? "done" : "" }, toggle, label, remove);
  label.addEventListener("dblclick", () => edit(todo, item));
  return item;
}

function draw() {
  const filter = filters[location.hash] ? location.hash : "#/";
  const left = todos.filter((todo) => !todo.completed).length;
  list.replaceChildren(...todos.filter(filters[filter]).map(row));
  footer.hidden = markAll.hidden = todos.length === 0;
  document.querySelector(".count").textContent = `${left} item${left === 1 ? "" : "s"} left`;
  document.querySelector(".clear").hidden = left === todos.length;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === filter) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

document.querySelector(".new").addEventListener("submit", async (event) => {
  event.preventDefault();
  const input = event.target.elements.title;
  const title = input.value.trim();
  if (!title) return;
  await change("POST", "/api/todos", { title });
  if (errorLine.hidden) input.value = "";
});
markAll.addEventListener("click", () =>
  change("PATCH", "/api/todos", { completed: todos.some((todo) => !todo.completed) }));
document.querySelector(".clear").addEventListener("click", () => change("DELETE", "/api/todos/completed"));
window.addEventListener("hashchange", draw);
// Not while an edit is open: a redraw would take the field away.
setInterval(() => document.querySelector(".edit") || reload(), 5000);
reload();
