// What the page does beyond plain HTML: uploads with progress, one after the
// other, and times in the visitor's own words. Without it the form still works.
"use strict";

document.documentElement.classList.add("script");

const form = document.getElementById("upload");
const list = document.getElementById("list");

// Times

function localTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time")) {
    const date = new Date(time.dateTime);
    time.title = time.dateTime;
    time.textContent = ago(date) || format.format(date);
  }
}

function ago(date) {
  const seconds = Math.max(0, (Date.now() - date) / 1000);
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  if (seconds < 60) return words.format(0, "minute");
  if (seconds < 3600) return words.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 86400) return words.format(-Math.floor(seconds / 3600), "hour");
  return "";
}

function humanSize(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let i = 0;
  for (; bytes >= 999.95 && i < units.length - 1; i++) bytes /= 1024;
  return (i ? bytes.toFixed(1).replace(/\.0$/, "") : bytes) + " " + units[i];
}

// List

async function refresh(freshNames) {
  const query = new URLSearchParams(location.search);
  query.delete("stored");
  const answer = await fetch(list.dataset.src + "?" + query, { cache: "no-store" });
  list.innerHTML = await answer.text(); // our own template, escaped by the server
  localTimes(list);
  for (const row of list.querySelectorAll(".row")) {
    if (freshNames.includes(row.dataset.name)) row.classList.add("fresh");
  }
}

function announce(text) {
  document.getElementById("announce").textContent = text;
}

// Uploads

const waiting = [];
let busy = false;

function enqueue(files) {
  for (const file of files) waiting.push(new Upload(file));
  if (!busy) work();
}

async function work() {
  busy = true;
  while (waiting.length > 0) {
    const upload = waiting.shift();
    const stored = await upload.run();
    if (stored.length > 0) await refresh(stored).catch(() => location.reload());
  }
  busy = false;
}

class Upload {
  constructor(file) {
    this.file = file;
    this.item = document.createElement("li");
    this.title = this.add("span", "title", file.name);
    this.cancel = this.add("button", "button quiet", "Cancel");
    this.cancel.type = "button";
    this.cancel.setAttribute("aria-label", "Cancel the upload of " + file.name);
    this.cancel.onclick = () => this.stop();
    this.bar = this.add("progress", "", "");
    this.bar.max = 1;
    this.bar.value = 0;
    this.bar.setAttribute("aria-label", "Progress of " + file.name);
    this.state = this.add("span", "state", "Waiting");
    document.getElementById("queue").append(this.item);
  }

  add(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.textContent = text;
    this.item.append(element);
    return element;
  }

  // run returns the names stored; it never throws, the visitor reads why.
  async run() {
    if (this.stopped) return [];
    const limit = Number(form.dataset.limit);
    if (limit > 0 && this.file.size > limit) {
      this.fail("This file is too big. The limit is " + humanSize(limit) + " a file.");
      return [];
    }
    const answer = await this.send();
    if (this.stopped) return [];
    if (answer.status !== 201) {
      this.fail(answer.body?.detail || "The upload broke off. The connection, or the file store, may be down. Please try again.");
      return [];
    }
    const names = answer.body.files.map((file) => file.name);
    this.done(names[0]);
    return names;
  }

  send() {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      this.request = request;
      request.upload.onprogress = (event) => this.progress(event);
      request.onload = () => resolve({ status: request.status, body: parse(request.responseText) });
      request.onerror = request.onabort = request.ontimeout = () => resolve({ status: 0 });
      request.open("POST", form.action);
      request.setRequestHeader("Accept", "application/json");
      const body = new FormData();
      body.append("file", this.file);
      request.send(body);
    });
  }

  progress(event) {
    if (!event.lengthComputable) return;
    this.bar.value = event.loaded / event.total;
    this.state.textContent = event.loaded < event.total
      ? humanSize(event.loaded) + " of " + humanSize(event.total)
      : "Storing…";
  }

  done(name) {
    this.item.className = "done";
    this.bar.remove();
    this.cancel.remove();
    const text = name === this.file.name ? "Stored." : "The name was taken, so it is stored as " + name + ".";
    this.state.textContent = text;
    announce(this.file.name + ": " + text);
    if (name === this.file.name) setTimeout(() => this.item.remove(), 4000);
  }

  fail(text) {
    this.item.className = "failed";
    this.bar.remove();
    this.state.textContent = text;
    this.cancel.textContent = "Dismiss";
    this.cancel.setAttribute("aria-label", "Dismiss the message about " + this.file.name);
    announce(this.file.name + ": " + text);
  }

  stop() {
    this.stopped = true;
    this.request?.abort();
    this.item.remove();
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function setUpForm() {
  const input = document.getElementById("file");
  input.required = false;
  input.addEventListener("change", () => {
    enqueue(input.files);
    input.value = "";
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const name of ["dragenter", "dragover"]) {
    form.addEventListener(name, (event) => {
      event.preventDefault();
      form.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) {
    form.addEventListener(name, () => form.classList.remove("over"));
  }
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    enqueue(event.dataTransfer.files);
  });
}

localTimes(document);
if (form) setUpForm();
