import Events
import HTTPTypes
import HummingbirdCore
import NIOCore

/// What a request is answered with.
struct Reply: Sendable {
  var status: HTTPResponse.Status
  var type = "application/json"
  var body: [UInt8]
  var headers: HTTPFields = [:]
  /// Nothing more is read from this connection.
  var closes = false

  static func json(_ bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Reply {
    Reply(status: status, body: bytes + [0x0A])
  }

  static func json(
    status: HTTPResponse.Status = .ok, _ write: (inout JSONWriter) -> Void
  ) -> Reply {
    var json = JSONWriter()
    json.beginObject()
    write(&json)
    json.endObject()
    return .json(Array(json.bytes), status: status)
  }

  /// - Parameters:
  ///   - code: for programs.
  ///   - message: for people: what is wrong and what to do.
  static func error(
    _ status: HTTPResponse.Status, _ code: String, _ message: String,
    _ more: (inout JSONWriter) -> Void = { _ in }
  ) -> Reply {
    json(status: status) { json in
      json.key("error")
      json.beginObject()
      json.member("code", text: code)
      json.member("message", text: message)
      json.endObject()
      more(&json)
    }
  }

  func with(_ name: HTTPField.Name, _ value: String) -> Reply {
    var reply = self
    reply.headers[name] = value
    return reply
  }

  var response: Response {
    var headers = headers
    headers[.contentType] = type
    headers[.cacheControl] = "no-store"
    headers[.xContentTypeOptions] = "nosniff"
    if closes { headers[.connection] = "close" }
    return Response(
      status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
  }
}
