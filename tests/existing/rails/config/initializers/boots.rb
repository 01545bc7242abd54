# One line for each time that the application boots.
File.open(Rails.root.join("boots.log"), "a") { |log| log.puts Process.pid }
