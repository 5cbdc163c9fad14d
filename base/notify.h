/* notify.h - telling systemd how the program fares (sd_notify's protocol, without its library). */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

/* Sends `state`, such as "READY=1" or "STOPPING=1", to the socket that systemd names in
 * NOTIFY_SOCKET. Does nothing when there is none; failure is ignored, as systemd wants. */
void rc_notify(const char *state);

#endif
