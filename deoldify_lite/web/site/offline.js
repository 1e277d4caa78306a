// Registers the service worker. What it serves has the headers that threads need, so the first visit is loaded twice.

const RELOADED = "reloaded for threads";
const PATIENCE = 10_000; // milliseconds for the service worker to take over
let reloading = false;

export const isReloading = () => reloading;

/** Without a service worker (plain http, some private windows) the page works all the same, on one thread. */
export async function register(isInUse) {
  if (!navigator.serviceWorker) return;
  try {
    const { active } = await navigator.serviceWorker.register("service-worker.js", { updateViaCache: "none" });
    if (!navigator.serviceWorker.controller && !active) await takeover(); // active: after a forced reload
  } catch (error) {
    console.warn("Works neither offline nor on several threads:", error);
    return;
  }
  if (self.crossOriginIsolated) {
    sessionStorage.removeItem(RELOADED);
  } else if (!sessionStorage.getItem(RELOADED) && !isInUse()) {
    sessionStorage.setItem(RELOADED, "yes"); // once: a browser that does not isolate shall not load for ever
    reloading = true;
    location.reload();
  }
}

/**
 * Let a new version of the site take over. Only once this page has loaded: the old service worker ends with all that it
 * is still handing out, and a page that loses a script stays empty.
 */
export async function letNewVersionIn() {
  const registration = await navigator.serviceWorker?.getRegistration();
  if (!registration) return;
  const letIn = () => registration.waiting?.postMessage("take over");
  const followInstallation = () => registration.installing?.addEventListener("statechange", letIn);
  letIn();
  followInstallation();
  registration.addEventListener("updatefound", followInstallation);
}

function takeover() {
  return new Promise((resolve, reject) => {
    navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true });
    setTimeout(() => reject(new Error("the service worker did not start")), PATIENCE);
  });
}
