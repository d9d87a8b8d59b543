// What needs no circuit: copying, and times that go on while a page is looked at.
'use strict';

document.addEventListener('click', async event => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add('copied');
    setTimeout(() => button.classList.remove('copied'), 1200);
  } catch {
    // Without https, and not on this machine, browsers keep the clipboard to themselves: the id is in the title to be selected.
  }
});

// Who signs out leaves no page of this browser open: each asks anew, once the session has ended, and comes to the sign-in.
const sessions = new BroadcastChannel('sessions');
document.addEventListener('submit', event => {
  if (event.target.matches('[data-ends-session]')) sessions.postMessage('ended');
});
sessions.addEventListener('message', () => setTimeout(() => location.reload(), 1000));

const units = [[86400, 'd', 172800], [3600, 'h', 3600], [60, 'min', 60], [1, 's', 1]];

setInterval(() => {
  for (const time of document.querySelectorAll('time[datetime]')) {
    const passed = (Date.now() - Date.parse(time.dateTime)) / 1000;
    const [size, name] = units.find(([, , from]) => passed >= from) ?? [];
    const text = size ? `${Math.floor(passed / size)} ${name}${time.dataset.since ? ' ago' : ''}` : 'now';
    // The text node belongs to Blazor: its content may change, the node may not.
    if (time.firstChild && time.firstChild.data !== text) time.firstChild.data = text;
  }
}, 1000);
