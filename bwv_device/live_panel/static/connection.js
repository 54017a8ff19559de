// The WebSocket to the camera: messages as objects, pictures as bytes; it comes back by itself.
const AGAIN_MS = [500, 1000, 2000, 4000];

export class Connection {
  constructor({ message, picture, state }) {
    Object.assign(this, { message, picture, state });
    this.tries = 0;
    this.open();
  }

  open() {
    const url = new URL("live", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.tries = 0;
      this.state("live");
    };
    this.socket.onmessage = ({ data }) =>
      typeof data === "string" ? this.message(JSON.parse(data)) : this.picture(data);
    this.socket.onclose = ({ reason }) => {
      this.state("lost", reason);
      setTimeout(() => this.open(), AGAIN_MS[Math.min(this.tries++, AGAIN_MS.length - 1)]);
    };
  }

  send(act) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(act));
    return true;
  }
}
