// Says so where the page cannot start: in an old browser, or where a file is missing. Every browser must understand this.

addEventListener("error", function (event) {
  var script = event.filename || (event.target.tagName === "SCRIPT" && event.target.src) || "";
  if (script.indexOf(location.origin + "/") !== 0 || self.started) return; // that of a browser's extension, or a picture
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", tell);
  else tell();
}, true);

function tell() {
  document.getElementById("loading").hidden = true;
  document.getElementById("broken").hidden = false;
  document.getElementById("again").hidden = true;
  document.querySelector("#broken p").textContent =
    "This page cannot start: this browser is too old for it, or a part of the page did not arrive.";
}
