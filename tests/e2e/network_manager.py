"""A NetworkManager of which only one property is there: usage ADDRESS METERED.

It answers org.freedesktop.DBus.Properties.Get on the bus at ADDRESS; a number on standard input is the
answer from then on.
"""
import sys
import threading

from jeepney import HeaderFields, MessageType, new_error, new_method_return
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

NAME = "org.freedesktop.NetworkManager"
metered = int(sys.argv[2])


def listen():
    global metered
    for line in sys.stdin:
        metered = int(line)


connection = open_dbus_connection(bus=sys.argv[1])
connection.send_and_get_reply(message_bus.RequestName(NAME))
threading.Thread(target=listen, daemon=True).start()
print("ready", flush=True)
while True:
    message = connection.receive()
    if message.header.message_type is not MessageType.method_call:
        continue
    member = message.header.fields.get(HeaderFields.member)
    if member == "Get" and message.body == (NAME, "Metered"):
        connection.send(new_method_return(message, "v", (("u", metered),)))
    else:
        connection.send(new_error(message, "org.freedesktop.DBus.Error.UnknownMethod"))
