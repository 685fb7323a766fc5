import Streaming
